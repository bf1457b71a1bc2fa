#!/bin/sh
# About one CPU-minute. 'run.sh small FOLDER' goes the same way with less of everything, into FOLDER alone.
set -e
cd "$(dirname "$0")/../.."
HERE=experiments/007_scaling
RUNS=results/studies/007_scaling
MACHINES="" DAYS="" DT=""
if [ "$1" = small ]; then
  RUNS=$2
  MACHINES="--set axes.0.zip.0.values=[1,2] --set axes.0.zip.1.values=[1,2] --set replicates=1"
  DAYS="--set axes.0.values=[1,2] --set replicates=1"
  DT="--set axes.0.values=[900,3600] --set replicates=1"
fi
nexova sweep $HERE/machines.yaml $MACHINES --jobs 1 --out "$RUNS/machines"
nexova sweep $HERE/days.yaml $DAYS --jobs 1 --out "$RUNS/days"
nexova sweep $HERE/dt.yaml $DT --jobs 1 --out "$RUNS/dt"
python $HERE/plot.py "$RUNS" "$RUNS/out"
if [ "$1" != small ]; then
  cp "$RUNS/out/table.csv" results/reference/007_scaling.csv
  cp "$RUNS/out/figure.png" $HERE/figure.png
  python experiments/table.py results/reference/007_scaling.csv $HERE/README.md
fi
