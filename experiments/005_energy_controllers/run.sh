#!/bin/sh
# Search, training and comparison: about 110 CPU-minutes. 'run.sh default' makes the default policy alone, in five.
# 'run.sh small FOLDER' goes the same way with less of everything, into FOLDER alone.
set -e
cd "$(dirname "$0")/../.."
HERE=experiments/005_energy_controllers
RUNS=results/studies/005_energy_controllers
DAYS=test
SEEDS="0 1 2 3 4"
SEARCH=""; LEARN=""; SAC=""; JUDGE="--jobs 2"
if [ "$1" = small ]; then
  RUNS=$2
  DAYS=validation
  SEEDS="0"
  STUDY="--set study=$HERE/small.yaml"
  SEARCH="$STUDY --set iterations=2 --set population=4 --set n_days=4"
  LEARN="$STUDY --set decisions=960 --set n_envs=8 --set batch=96 --set check_every=2"
  SAC="$STUDY --set decisions=384 --set n_envs=8 --set batch=16 --set check_every=1"
  JUDGE="$STUDY --set shifted=[] --set yardsticks.n_days=0 --set yardsticks.mpc_days=1"
  JUDGE="$JUDGE --set yardsticks.lookahead.n_days=1 --set yardsticks.lookahead.iterations=1"
fi
if [ "$1" = default ]; then SEEDS="1"; fi

# files METHOD: the model files of all seeds, as a list.
files() { for s in $SEEDS; do printf '%s' "${comma}$RUNS/$1/model-$s.json"; comma=,; done; comma=""; }
ALL="--set seeds=[$(echo $SEEDS | tr ' ' ,)]"

nexova energy tune --config configs/energy/tune_bids.yaml $SEARCH $ALL --out "$RUNS/bids"
BEGIN="--set start=[$(files bids)]"
nexova energy train --config configs/energy/train_ppo.yaml $LEARN $ALL $BEGIN --out "$RUNS/ppo"
if [ "$1" = default ]; then exit 0; fi
nexova energy tune --config configs/energy/tune_ppo.yaml $SEARCH $ALL --set "start=[$(files ppo)]" --out "$RUNS/ppo-tuned"
nexova energy tune --config configs/energy/tune_rule.yaml $SEARCH $ALL --out "$RUNS/rule"
nexova energy tune --config configs/energy/tune_context.yaml $SEARCH $ALL $BEGIN --out "$RUNS/context"
nexova energy train --config configs/energy/train_alone.yaml $LEARN $ALL --out "$RUNS/alone"
nexova energy train --config configs/energy/train_sac.yaml $SAC --set seeds=[0] --set "start=[$RUNS/bids/model-0.json]" --out "$RUNS/sac"
MODELS="--set models.rule=[$(files rule)] --set models.bids=[$(files bids)] --set models.context=[$(files context)]"
MODELS="$MODELS --set models.ppo=[$(files ppo)] --set models.ppo_tuned=[$(files ppo-tuned)]"
MODELS="$MODELS --set models.ppo_alone=[$(files alone)]"
MODELS="$MODELS --set models.sac=[$RUNS/sac/model-0.json]"
nexova energy evaluate --config configs/energy/evaluate.yaml --days $DAYS $JUDGE $MODELS --out "$RUNS/evaluate"
python $HERE/plot.py "$RUNS" "$RUNS/out"
if [ "$1" != small ]; then
  cp "$RUNS/out/table.csv" results/reference/005_energy_controllers.csv
  cp "$RUNS/out/shifted.csv" "$RUNS/out/figure.png" $HERE/
  python experiments/table.py results/reference/005_energy_controllers.csv $HERE/README.md
fi
