"""The node of the lab as a virtual machine: its own kernel, cgroup v2 only, no /dev/kvm needed."""
