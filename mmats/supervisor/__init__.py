"""Starts and watches the processes of a profile; knows them by their pid files."""

from mmats.supervisor.pids import ChildState, children_state

__all__ = ["ChildState", "children_state"]
