#!/bin/sh
# About two CPU-minutes. 'run.sh small FOLDER' goes the same way with less of everything, into FOLDER alone.
set -e
cd "$(dirname "$0")/../.."
HERE=experiments/002_alert_policies
RUNS=results/studies/002_alert_policies
LESS=""
if [ "$1" = small ]; then
  RUNS=$2
  LESS="--set replicates=1 --set axes.0.values=[9.0]"
fi
nexova sweep $HERE/sweep.yaml $LESS --jobs 1 --out "$RUNS/sweep"
python $HERE/plot.py "$RUNS" "$RUNS/out"
if [ "$1" != small ]; then
  cp "$RUNS/out/table.csv" results/reference/002_alert_policies.csv
  cp "$RUNS/out/figure.png" $HERE/figure.png
  python experiments/table.py results/reference/002_alert_policies.csv $HERE/README.md
fi
