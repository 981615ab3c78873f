#!/bin/sh
# Runs what is missing of the peers, the most telling first: `sh tests/benchmarks/regret/run_peers.sh [stage ...]`.
# Stop it and start it again as you like: runs on file are kept. PYTHON is a Python with the peers (the `bench` extra,
# scikit-optimize, smac, neural-pipeline-search, optunahub); TASKS, SEEDS and RESULTS narrow it. The stage `hub` needs
# Optuna 4 and, as OPTUNAHUB_REGISTRY, the `package` folder of OptunaHub's registry.
cd "$(dirname "$0")/../../.." || exit 1
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 PYTHONPATH=tests
PYTHON="${PYTHON:-python}"
TASKS="${TASKS:-all}"

peers() {
    # stage, methods, seeds, budget
    echo "== $1: $2, ${SEEDS:-$3} seeds, budget $4"
    nice -n 15 "$PYTHON" -W ignore -m benchmarks.regret --methods "$2" --tasks "$TASKS" --seeds "${SEEDS:-$3}" \
        --budget "$4" ${RESULTS:+--results "$RESULTS"}
}

stage() {
    case $1 in
    first) peers first optuna-tpe 20 200 ;;
    trees) peers trees optuna-tpe-group 20 200 ;;
    hub) peers hub optuna-tpe-hierarchical 20 200 ;;
    evolution) peers evolution pyglove-evolution-25-10,syne_tune-evolution 20 200 ;;
    objectives) peers objectives optuna-nsga2,optuna-tpe 20 200 ;;
    gp) peers gp optuna-gp 20 100 ;;
    smac) peers smac smac-rf 20 100 ;;
    smac-gp) peers smac-gp smac-gp 20 50 ;;
    neps) peers neps neps-bo 20 50 ;;
    skopt) peers skopt skopt-et 5 100 ;;
    more) peers more optuna-tpe,optuna-tpe-group,optuna-tpe-univariate 100 200 ;;
    most)
        peers most pyglove-evolution-25-10,pyglove-evolution-100-10,neps-evolution 30 200
        peers most optuna-gp 20 200
        peers most smac-rf 20 200
        peers most syne_tune-bore 10 100
        peers most skopt-rf,skopt-gp 5 100
        ;;
    *) echo "no stage $1" >&2; exit 1 ;;
    esac
}

if [ $# -eq 0 ]; then
    set -- first trees evolution objectives gp smac smac-gp neps skopt more most
fi
for each in "$@"; do
    stage "$each"
done
