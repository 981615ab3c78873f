"""The tables and views of a record, and how an older record becomes one of this version.

A script is never changed once it was released: a new version appends one.
"""

from __future__ import annotations

# "arch" in ASCII: tells a record from any other SQLite file (PRAGMA application_id).
APPLICATION_ID = 0x61726368

VERSION_1 = """
CREATE TABLE studies (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL,
    version TEXT NOT NULL,          -- of archsearch, when it began
    seed INTEGER NOT NULL,
    objectives TEXT NOT NULL,       -- JSON: {"accuracy": "maximize"}
    searcher TEXT NOT NULL,         -- JSON: its class and its fields
    space TEXT NOT NULL,            -- JSON: Space.describe()
    holder TEXT,                    -- JSON: host, pid, process of the driver that writes this study; NULL: free
    expires REAL                    -- when that driver is taken for dead, in seconds since 1970
);

CREATE TABLE trials (
    study INTEGER NOT NULL REFERENCES studies (id),
    number INTEGER NOT NULL,        -- 0, 1, 2, ... in the order of the proposals
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'pruned')),
    architecture TEXT NOT NULL,     -- Architecture.id
    assignment TEXT NOT NULL,       -- JSON: answer by path, in the order of the walk
    metrics TEXT NOT NULL DEFAULT '{}',  -- JSON: number by name, null where it is not finite
    seconds REAL,                   -- that the last attempt took
    proposed TEXT NOT NULL,
    finished TEXT,
    finish INTEGER,                 -- 1, 2, ... in the order in which the search heard of the outcomes
    heard INTEGER NOT NULL,         -- how many outcomes the search had heard when it proposed this
    heard_reports INTEGER NOT NULL, -- the sequence number of the last report that it had heard
    pending TEXT NOT NULL,          -- JSON: numbers of the trials that were running then
    parent INTEGER,
    budget REAL,
    note TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (study, number),
    UNIQUE (study, finish)
);

CREATE TABLE attempts (
    study INTEGER NOT NULL,
    number INTEGER NOT NULL,        -- of the trial
    attempt INTEGER NOT NULL,       -- 1, 2, ...
    state TEXT NOT NULL CHECK (state IN
        ('running', 'done', 'exception', 'nan', 'oom', 'timeout', 'lost', 'interrupted', 'pruned')),
    started TEXT NOT NULL,
    ended TEXT,
    seconds REAL,
    message TEXT,
    traceback TEXT,
    worker TEXT,
    PRIMARY KEY (study, number, attempt),
    FOREIGN KEY (study, number) REFERENCES trials (study, number)
);

CREATE TABLE reports (
    study INTEGER NOT NULL,
    sequence INTEGER NOT NULL,      -- 1, 2, ... over the whole study
    number INTEGER NOT NULL,        -- of the trial
    attempt INTEGER NOT NULL,
    step REAL NOT NULL,
    metrics TEXT NOT NULL,          -- JSON
    reported TEXT NOT NULL,
    PRIMARY KEY (study, sequence),
    FOREIGN KEY (study, number, attempt) REFERENCES attempts (study, number, attempt)
);
CREATE INDEX reports_of_trial ON reports (study, number, attempt, sequence);

CREATE TABLE files (
    study INTEGER NOT NULL,
    number INTEGER NOT NULL,        -- of the trial
    attempt INTEGER NOT NULL,
    path TEXT NOT NULL,             -- where it is
    bytes INTEGER NOT NULL,
    blake2b TEXT NOT NULL,          -- 40 hexadecimal digits
    PRIMARY KEY (study, number, attempt, path),
    FOREIGN KEY (study, number, attempt) REFERENCES attempts (study, number, attempt)
);

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES studies (id),
    happened TEXT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX events_of_study ON events (study, id);

CREATE VIEW decisions AS
SELECT studies.name AS study, trials.number, decision.key AS path, decision.value AS answer, decision.type
FROM trials JOIN studies ON studies.id = trials.study, json_each(trials.assignment) AS decision;

-- The value of every objective of the finished trials; `loss` is smaller where the value is better.
CREATE VIEW scores AS
SELECT trials.study AS study_id, studies.name AS study, trials.number, objective.key AS objective,
    metric.value, CASE objective.value WHEN 'maximize' THEN -metric.value ELSE metric.value END AS loss
FROM trials JOIN studies ON studies.id = trials.study, json_each(studies.objectives) AS objective
JOIN json_each(trials.metrics) AS metric ON metric.key = objective.key
WHERE trials.state = 'done';

-- The best trial by each objective; of equals the first.
CREATE VIEW best AS
SELECT study, objective, value, number, architecture, metrics, assignment
FROM (
    SELECT scores.*, trials.architecture, trials.metrics, trials.assignment,
        row_number() OVER (PARTITION BY study_id, objective ORDER BY loss, scores.number) AS place
    FROM scores JOIN trials ON trials.study = study_id AND trials.number = scores.number
) WHERE place = 1;

-- The trials that no other one beats: as good in every objective and better in one.
CREATE VIEW pareto AS
SELECT studies.name AS study, one.number, one.architecture, one.metrics, one.assignment
FROM trials AS one JOIN studies ON studies.id = one.study
WHERE one.state = 'done' AND NOT EXISTS (
    SELECT 1 FROM scores AS mine JOIN scores AS other
        ON other.study_id = mine.study_id AND other.objective = mine.objective
    WHERE mine.study_id = one.study AND mine.number = one.number
    GROUP BY other.number
    HAVING max(other.loss > mine.loss) = 0 AND max(other.loss < mine.loss) = 1
);

CREATE VIEW failures AS
SELECT studies.name AS study, trials.number, attempts.attempt, attempts.state AS kind, trials.state AS trial_state,
    attempts.message, attempts.traceback, attempts.started, attempts.seconds, trials.assignment
FROM attempts JOIN trials USING (study, number) JOIN studies ON studies.id = attempts.study
WHERE attempts.state NOT IN ('running', 'done', 'pruned', 'interrupted');
"""

VERSION_2 = """
-- Architecture.canonical_id; NULL where it cannot be told, and for trials of version 1.
ALTER TABLE trials ADD COLUMN canonical_id TEXT;

-- The trial whose evaluation answered this one, which had none of its own; NULL: it was evaluated.
ALTER TABLE trials ADD COLUMN reused_from INTEGER;
"""

VERSION_3 = """
-- What was evaluated, in 80 bits: trials with equal ones have one outcome; NULL: nothing else can share it.
ALTER TABLE trials ADD COLUMN evaluation BLOB;
CREATE INDEX evaluations ON trials (study, evaluation, finish)
    WHERE evaluation IS NOT NULL AND state = 'done' AND reused_from IS NULL;

-- JSON: bounds by metric, {"latency_ms": {"<=": 20.0}}.
ALTER TABLE studies ADD COLUMN constraints TEXT NOT NULL DEFAULT '{}';

-- The number of workers of a study in lockstep; NULL: outcomes are heard in the order of finishing.
ALTER TABLE studies ADD COLUMN lockstep INTEGER;

-- Architectures that are to be tried before the search is asked.
CREATE TABLE enqueued (
    study INTEGER NOT NULL REFERENCES studies (id),
    place INTEGER NOT NULL,         -- 1, 2, ... in the order in which they were enqueued
    architecture TEXT NOT NULL,     -- Architecture.id
    assignment TEXT NOT NULL,       -- JSON: answer by path
    since INTEGER NOT NULL,         -- how many trials the study had then
    number INTEGER,                 -- the trial of this architecture; NULL: it waits
    PRIMARY KEY (study, place)
);
CREATE INDEX waiting ON enqueued (study, place) WHERE number IS NULL;

DROP VIEW pareto;
DROP VIEW best;
DROP VIEW scores;

-- What a trial that is done has outside the limits. Those on parameters and FLOPs were kept before it was proposed.
CREATE VIEW violations AS
SELECT trials.study AS study_id, studies.name AS study, trials.number, bounded.key AS metric, metric.value,
    bound.key AS comparison, bound.value AS bound
FROM trials JOIN studies ON studies.id = trials.study
JOIN json_each(studies.constraints) AS bounded ON bounded.key NOT IN ('parameters', 'flops')
JOIN json_each(bounded.value) AS bound
LEFT JOIN json_each(trials.metrics) AS metric ON metric.key = bounded.key
WHERE trials.state = 'done' AND NOT coalesce(
    CASE bound.key WHEN '<=' THEN metric.value <= bound.value ELSE metric.value >= bound.value END, 0);

-- The value of every objective of the finished trials; `loss` is smaller where the value is better.
CREATE VIEW scores AS
SELECT trials.study AS study_id, studies.name AS study, trials.number, objective.key AS objective,
    metric.value, CASE objective.value WHEN 'maximize' THEN -metric.value ELSE metric.value END AS loss,
    NOT EXISTS (SELECT 1 FROM violations
        WHERE violations.study_id = trials.study AND violations.number = trials.number) AS feasible
FROM trials JOIN studies ON studies.id = trials.study, json_each(studies.objectives) AS objective
JOIN json_each(trials.metrics) AS metric ON metric.key = objective.key
WHERE trials.state = 'done';

-- The best trial by each objective among those within the limits; of equals the first.
CREATE VIEW best AS
SELECT study, objective, value, number, architecture, metrics, assignment
FROM (
    SELECT scores.*, trials.architecture, trials.metrics, trials.assignment,
        row_number() OVER (PARTITION BY study_id, objective ORDER BY loss, scores.number) AS place
    FROM scores JOIN trials ON trials.study = study_id AND trials.number = scores.number
    WHERE feasible
) WHERE place = 1;

-- The trials within the limits that no other one of them beats: as good in every objective and better in one.
CREATE VIEW pareto AS
SELECT studies.name AS study, one.number, one.architecture, one.metrics, one.assignment
FROM trials AS one JOIN studies ON studies.id = one.study
WHERE one.state = 'done' AND NOT EXISTS (
    SELECT 1 FROM violations WHERE violations.study_id = one.study AND violations.number = one.number
) AND NOT EXISTS (
    SELECT 1 FROM scores AS mine JOIN scores AS other
        ON other.study_id = mine.study_id AND other.objective = mine.objective AND other.feasible
    WHERE mine.study_id = one.study AND mine.number = one.number
    GROUP BY other.number
    HAVING max(other.loss > mine.loss) = 0 AND max(other.loss < mine.loss) = 1
);
"""

MIGRATIONS = (VERSION_1, VERSION_2, VERSION_3)

VERSION = len(MIGRATIONS)
