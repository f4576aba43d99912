#!/bin/sh
# From data to answers from three clouds: one model per task. Needs the local run of `make up`; may be run again.
set -eu
cd "$(dirname "$0")/../.."
eval "$(make -s env)"
runs=build/runs bundles=build/bundles

make_model() { # name family data
  [ -e "$bundles/$1/1.json" ] && return
  python -m model_export train "$2" --data "$3" --out "$runs/$1"
  python -m model_export evaluate "$runs/$1"
  python -m model_export export "$runs/$1" --name "$1" --out "$bundles/$1"
}

make_model shapes yolo shapes
make_model regions unet shapes-masks
make_model languages transformer languages

pulumi up --stack local --config-file examples/tasks/Pulumi.local.yaml --yes --skip-preview --suppress-progress

python -m model_export sample shapes --out "$runs/samples" --count 2
python -m model_export sample shapes-masks --out "$runs/samples" --count 2
python -m serving predict shapes "$runs"/samples/shapes-?.png --draw "$runs/drawn"
python -m serving predict regions "$runs"/samples/shapes-masks-?.png --draw "$runs/drawn"
python -m serving predict languages "Das Kennwort ist zu kurz." "La contraseña es demasiado corta."
