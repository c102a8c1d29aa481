"""Every way to slow a program down on this node, and an honest word on whether it bites."""
