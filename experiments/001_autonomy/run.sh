#!/bin/sh
# Two fleets of forty old machines for a month, 27 settings each: about seven CPU-minutes.
set -e
cd "$(dirname "$0")/../.."
nexova decisions autonomy --config configs/sweep/autonomy.yaml --out results/autonomy
cp results/autonomy/autonomy.csv results/autonomy/plot.png experiments/001_autonomy/
