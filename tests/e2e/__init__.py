"""Tests against real programs."""
