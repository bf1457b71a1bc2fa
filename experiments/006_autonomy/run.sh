#!/bin/sh
# Two fleets of forty old machines for a month, 27 settings each: about seven CPU-minutes.
# 'run.sh small FOLDER' goes the same way with less of everything, into FOLDER alone.
set -e
cd "$(dirname "$0")/../.."
HERE=experiments/006_autonomy
RUNS=results/studies/006_autonomy
LESS=""
if [ "$1" = small ]; then
  RUNS=$2
  LESS="--set fleet_settings=[days=4,dt_s=900,factories.0.machines.pump=2] --set policies=[seed_rules] --set seeds=[11]"
fi
nexova decisions autonomy --config configs/sweep/autonomy.yaml $LESS --out "$RUNS/autonomy"
python $HERE/plot.py "$RUNS/autonomy" "$RUNS/out"
if [ "$1" != small ]; then
  cp "$RUNS/autonomy/autonomy.csv" $HERE/
  cp "$RUNS/out/table.csv" results/reference/006_autonomy.csv
  cp "$RUNS/out/figure.png" $HERE/figure.png
  python experiments/table.py results/reference/006_autonomy.csv $HERE/README.md
fi
