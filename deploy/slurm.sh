#!/bin/sh
#SBATCH --job-name=chiralscreen
#SBATCH --ntasks=64
#SBATCH --cpus-per-task=1
#SBATCH --time=12:00:00
# One screening over all tasks of a SLURM job, by Dask and a Prefect server of the job's own:
#
#     sbatch deploy/slurm.sh structures results/first --potential 7net-l3i5
#
# For GPUs add --gpus-per-task=1 above, and --device cuda below the line. A job that comes to its
# end before the work does is submitted again as it is.
set -eu
source=$1
output=$2
shift 2
mkdir -p "$output"
folder=$(mktemp -d "$(cd "$output" && pwd)/.job-XXXXXX")
port=$(python -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
password=$(python -c 'import secrets; print(secrets.token_hex())')

export OMP_NUM_THREADS=1 DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false
# A chunk that ends a process is cut, not tried again as it is on one process after another.
export DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0
export PREFECT_HOME="$folder/prefect" PREFECT_CLIENT_MAX_RETRIES=6
export PREFECT_SERVER_API_AUTH_STRING="job:$password" PREFECT_API_AUTH_STRING="job:$password"
PREFECT_API_URL="http://$(hostname):$port/api"
export PREFECT_API_URL

# Whoever reaches Dask's scheduler can run code: it talks to those who have the key of this job.
openssl req -x509 -newkey rsa:3072 -nodes -days 30 -subj "/CN=chiralscreen" \
  -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2> "$folder/openssl.log"
tls=DASK_DISTRIBUTED__COMM__TLS
export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True "${tls}__CA_FILE=$folder/certificate.pem"
for side in SCHEDULER WORKER CLIENT; do
  export "${tls}__${side}__CERT=$folder/certificate.pem" "${tls}__${side}__KEY=$folder/key.pem"
done

prefect server start --host 0.0.0.0 --port "$port" > "$folder/server.log" 2>&1 &
server=$!
dask scheduler --protocol tls --port 0 --no-dashboard --dashboard-address 127.0.0.1:0 \
  --scheduler-file "$folder/dask.json" \
  > "$folder/scheduler.log" 2>&1 &
scheduler=$!
trap 'kill "$server" "$scheduler"; rm -f "$folder/key.pem"' EXIT
until [ -f "$folder/dask.json" ]; do sleep 1; done
# One thread each: the time limit of a structure holds for a process.
srun dask worker --scheduler-file "$folder/dask.json" --nthreads 1 --no-dashboard \
  > "$folder/workers.log" 2>&1 &
until python -c 'import os, urllib.request as u; u.urlopen(os.environ["PREFECT_API_URL"] + "/ready")'
do sleep 2; done 2> "$folder/waiting.log"

address=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' \
  "$folder/dask.json")
# Exit code 1 tells of structures that failed; they are in the table, and the job is done.
chiralscreen screen "$source" --output "$output" --workers "$SLURM_NTASKS" \
  --engine dask --address "$address" "$@" || [ $? -eq 1 ]
