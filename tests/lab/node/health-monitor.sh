#!/bin/bash
# Health monitor of the lab. The behaviour and messages are those of the monitors kube-up nodes
# ran: `docker` as up to Kubernetes 1.10, `container-runtime` as from 1.11 on. The wording of the
# script is ours; the times are scaled down by LAB_CHECK_S (upstream: 60 s). Where LAB_CHECK_LOG names
# a file, every check leaves a line there: when it began, how long it took, its exit status.

check_s="${LAB_CHECK_S:-10}"
pause_s="${LAB_PAUSE_S:-60}"
every_s="${LAB_EVERY_S:-2}"

answers() {
    local began="${EPOCHREALTIME/./}" status
    timeout "${check_s}" docker ps > /dev/null
    status=$?
    if [[ -n ${LAB_CHECK_LOG} ]]; then
        echo "${began} $((${EPOCHREALTIME/./} - began)) ${status}" >> "${LAB_CHECK_LOG}"
    fi
    return "${status}"
}

watch_docker() {
    while sleep "${every_s}"; do
        if ! answers; then
            echo "Docker daemon failed!"
            pkill docker
            sleep "${pause_s}"
        fi
    done
}

wait_for_first_answer() {
    for attempt in 1 2 3 4 5; do
        if answers; then
            return
        fi
        echo "${attempt} initial attempt \"docker ps\"! Trying again in ${attempt} seconds..."
        sleep "${attempt}"
    done
    echo "Max attempt 5 reached! Proceeding to monitor container runtime healthiness."
}

watch_container_runtime() {
    wait_for_first_answer
    while sleep "${every_s}"; do
        if ! answers; then
            echo "Container runtime docker failed!"
            pkill -SIGUSR1 dockerd
            systemctl kill --kill-who=main docker
            sleep "${pause_s}"
        fi
    done
}

echo "Start kubernetes health monitoring for $1"
case "$1" in
docker) watch_docker ;;
container-runtime) watch_container_runtime ;;
esac
