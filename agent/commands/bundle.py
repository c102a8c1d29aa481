"""``knockon bundle``: stub."""
import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None: ...
def command(options: argparse.Namespace) -> int: return 0
