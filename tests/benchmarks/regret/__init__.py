"""How far from the best searchers are, evaluation by evaluation, on tables and on made-up spaces: see `harness`."""
