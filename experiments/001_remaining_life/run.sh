#!/bin/sh
# About a CPU-minute. 'run.sh small FOLDER' goes the same way with less of everything, into FOLDER alone.
set -e
cd "$(dirname "$0")/../.."
HERE=experiments/001_remaining_life
RUNS=results/studies/001_remaining_life
LESS=""
if [ "$1" = small ]; then
  RUNS=$2
  LESS="--set replicates=1 --set axes.0.values=[1.0]"
fi
nexova sweep $HERE/sweep.yaml $LESS --jobs 1 --out "$RUNS/sweep"
python $HERE/plot.py "$RUNS" "$RUNS/out"
if [ "$1" != small ]; then
  cp "$RUNS/out/table.csv" results/reference/001_remaining_life.csv
  cp "$RUNS/out/figure.png" $HERE/figure.png
  python experiments/table.py results/reference/001_remaining_life.csv $HERE/README.md
fi
