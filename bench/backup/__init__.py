"""Backups under load on a slow disk: bytes won against waits caused, arm beside arm."""
