"""What a Fact can say. Rules (``agent/rulebook/*.toml``) and hypotheses use the same names."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """One kind of statement about one subject."""

    # Somebody pulls a trigger
    MONITOR_KILLS_RUNTIME = "monitor_kills_runtime"
    MONITOR_KILLS_KUBELET = "monitor_kills_kubelet"
    MONITOR_RESTARTS_RUNTIME = "monitor_restarts_runtime"  # looks planned to PID 1, is not
    MONITOR_WORKS = "monitor_works"  # a monitor exists here and runs
    MONITOR_RETRIES = "monitor_retries"  # start-up grace, no kill yet
    WATCHDOG_TIMEOUT = "watchdog_timeout"
    WATCHDOG_WITHHELD = "watchdog_withheld"
    OOM_KILL = "oom_kill"
    OOM_INVOKED = "oom_invoked"
    OOM_AT_LIMIT = "oom_at_limit"  # a memory cgroup stands at its own limit
    OOM_IN_MEMCG = "oom_in_memcg"  # a stack frame that only a memory-cgroup OOM has
    OOM_NODE_WIDE = "oom_node_wide"  # no constraint: the system is out of memory
    OOM_TASK = "oom_task"  # one row of the kernel's task dump
    OOMD_KILL = "oomd_kill"
    CONTAINER_OOM = "container_oom"
    SYSTEM_OOM = "system_oom"
    POD_EVICTED_FOR_PRESSURE = "pod_evicted_for_pressure"
    PROBE_KILLS_CONTAINER = "probe_kills_container"
    SIGNAL_RECEIVED = "signal_received"

    # systemd's life of a unit
    UNIT_STOPPING = "unit_stopping"
    UNIT_STOPPED = "unit_stopped"
    UNIT_STARTING = "unit_starting"
    UNIT_STARTED = "unit_started"
    UNIT_START_FAILED = "unit_start_failed"
    UNIT_EXITED = "unit_exited"
    UNIT_FAILED = "unit_failed"
    UNIT_ENDED_CLEAN = "unit_ended_clean"
    UNIT_RESTART_SCHEDULED = "unit_restart_scheduled"
    UNIT_START_LIMIT = "unit_start_limit"
    UNIT_STOP_TIMEOUT = "unit_stop_timeout"
    UNIT_OOM = "unit_oom"
    UNIT_LEFTOVER = "unit_leftover"  # processes (shims) outlived the unit: good news
    CORE_DUMP = "core_dump"

    # Planned work
    PACKAGE_CHANGED = "package_changed"
    OPERATOR_ACTS = "operator_acts"  # a person or an agent restarts, signals or reconfigures
    BACKUP_RUNNING = "backup_running"  # announced itself, or seen by a process title
    PROCESS_LOAD = "process_load"  # the process that moves most while others wait for the disk
    DRAIN = "drain"
    CORDON = "cordon"
    POD_EVICTED_BY_API = "pod_evicted_by_api"
    SCALE_DOWN = "scale_down"
    REBOOT_REQUIRED = "reboot_required"
    SHUTDOWN = "shutdown"

    # The node and its kernel
    BOOT = "boot"
    NODE_REBOOTED = "node_rebooted"
    KERNEL_FAULT = "kernel_fault"
    HUNG_TASK = "hung_task"
    NETNS_STUCK = "netns_stuck"  # unregister_netdevice waits: a namespace cannot be freed
    LOCK_WAIT = "lock_wait"  # a blocked task stands at a lock of the kernel, not at a disk
    CPU_STALL = "cpu_stall"
    CPU_STARVED = "cpu_starved"
    IO_SLOW = "io_slow"
    IO_PRESSURE = "io_pressure"
    MEMORY_SHORT = "memory_short"
    DISK_SHORT = "disk_short"
    DISK_ROOM = "disk_room"  # a file system the runtime uses has room, as df shows it
    DISK_ERROR = "disk_error"
    VOLUME_THROTTLED = "volume_throttled"
    NODE_NOT_READY = "node_not_ready"
    NODE_READY = "node_ready"

    # The container runtime
    RUNTIME_SLOW = "runtime_slow"  # answers late: deadline exceeded, PLEG stale
    RUNTIME_DOWN = "runtime_down"  # does not answer: socket gone, connection refused
    RUNTIME_LOCKED = "runtime_locked"  # a goroutine waits on a lock for minutes
    RUNTIME_DUMP = "runtime_dump"  # goroutine stacks written: somebody sent SIGUSR1
    RUNTIME_PANIC = "runtime_panic"
    RUNTIME_FATAL = "runtime_fatal"  # refuses to start, with a reason
    RUNTIME_STARTED = "runtime_started"
    RUNTIME_STOPPED = "runtime_stopped"
    SHIM_LOST = "shim_lost"
    SANDBOX_LOST = "sandbox_lost"  # the runtime no longer knows a sandbox
    SANDBOX_EXITED = "sandbox_exited"
    SANDBOX_STOP_ASKED = "sandbox_stop_asked"  # StopPodSandbox: somebody asked for it

    # The kubelet
    KUBELET_STARTED = "kubelet_started"
    KUBELET_PANIC = "kubelet_panic"
    KUBELET_FATAL = "kubelet_fatal"
    KUBELET_UNHEALTHY = "kubelet_unhealthy"
    EVICTION_THRESHOLD = "eviction_threshold"

    # Reasons written out by the one who knows
    CNI_FAILED = "cni_failed"
    CNI_NOT_READY = "cni_not_ready"
    CONFIG_MISMATCH = "config_mismatch"
    CERT_INVALID = "cert_invalid"
    CLOCK_JUMPED = "clock_jumped"
    CLOCK_READ = "clock_read"  # what one of the node's clocks shows, as somebody pasted it

    # In words that no rule knows: a symptom of a subject (rules/plain_words.py)
    SYMPTOM = "symptom"

    # What the pods went through
    SANDBOX_CHANGED = "sandbox_changed"
    SANDBOX_NOT_READY = "sandbox_not_ready"  # also said of every pod that is being deleted
    SANDBOX_CREATE_FAILED = "sandbox_create_failed"
    CONTAINER_EXITED = "container_exited"
    CONTAINER_KILLING = "container_killing"
    CONTAINER_BACKOFF = "container_backoff"
    PROBE_FAILED = "probe_failed"
    POD_DELETED = "pod_deleted"
    POD_GIVEN_UP = "pod_given_up"  # its node did not answer, so the cluster deleted it

    # Told by others of us
    AGENT_TOLD = "agent_told"  # a node's agent explained it, in an Event of its own

    # Evidence that is missing
    JOURNAL_GAP = "journal_gap"
