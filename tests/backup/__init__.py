"""Tests of the backup half."""
