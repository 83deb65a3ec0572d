#!/bin/bash
# Everything that wants a CUDA device, one after another: bash benchmarks/gpu/run.sh [FOLDER FOR THE RESULTS]
# Run from the root of the checkout, meze[all,dev] installed with a CUDA build of torch.
set -eo pipefail
out=${1:-benchmarks/results}
python -m pytest -m gpu -q | tee "$out/gpu_tests.txt"
python benchmarks/gpu/throughput.py | tee "$out/gpu_throughput.txt"
python benchmarks/deep_race.py cartpole --agents dqn pqn ppo --device cuda | tee "$out/gpu_cartpole.txt"
python benchmarks/deep_race.py city --agents dqn pqn ppo --device cuda | tee "$out/gpu_city.txt"
python benchmarks/deep_learning.py city --device cuda | tee "$out/gpu_city_learning.txt"
python benchmarks/deep_learning.py platformer --device cuda | tee "$out/gpu_platformer_learning.txt"
