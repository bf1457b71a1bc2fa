#!/bin/sh
# Seven policies on six plants, then two fleets of forty old machines for a month, 27 settings each: about eight CPU-minutes.
# 'run.sh small FOLDER' goes the same way with less of everything, into FOLDER alone.
set -e
cd "$(dirname "$0")/../.."
HERE=experiments/006_autonomy
RUNS=results/studies/006_autonomy
LESS="" FEWER=""
if [ "$1" = small ]; then
  RUNS=$2
  LESS="--set fleet_settings=[days=4,dt_s=900,factories.0.machines.pump=2] --set policies=[seed_rules] --set seeds=[11]"
  FEWER="--set replicates=1 --set axes.0.values=[3.0]"
fi
nexova sweep $HERE/replay.yaml $FEWER --jobs 1 --out "$RUNS/replay"
nexova decisions autonomy --config configs/sweep/autonomy.yaml $LESS --out "$RUNS/autonomy"
python $HERE/plot.py "$RUNS" "$RUNS/out"
if [ "$1" != small ]; then
  cp "$RUNS/autonomy/autonomy.csv" $HERE/
  cp "$RUNS/out/table.csv" results/reference/006_autonomy.csv
  cp "$RUNS/out/table_policies.csv" results/reference/006_autonomy_policies.csv
  cp "$RUNS/out/figure.png" "$RUNS/out/policies.png" $HERE/
  python experiments/table.py results/reference/006_autonomy.csv $HERE/README.md
  python experiments/table.py results/reference/006_autonomy_policies.csv $HERE/README.md --mark policies
fi
