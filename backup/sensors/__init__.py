"""What the governor sees: the runtime's or the disk's answers, and the kernel's pressure totals."""
