#!/bin/sh
# About three CPU-minutes. 'run.sh small FOLDER' goes the same way with less of everything, into FOLDER alone.
set -e
cd "$(dirname "$0")/../.."
HERE=experiments/003_anomaly_detectors
RUNS=results/studies/003_anomaly_detectors
LESS=""
if [ "$1" = small ]; then
  RUNS=$2
  LESS=small
fi
python $HERE/judge.py "$RUNS" $LESS
python $HERE/plot.py "$RUNS" "$RUNS/out"
if [ "$1" != small ]; then
  cp "$RUNS/out/table.csv" results/reference/003_anomaly_detectors.csv
  cp "$RUNS/out/figure.png" $HERE/figure.png
  python experiments/table.py results/reference/003_anomaly_detectors.csv $HERE/README.md
fi
