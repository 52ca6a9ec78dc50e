"""Columns: what there is to know about the rows of a list; a table for each type of row."""

from nsview.host.columns.column import DEAR, FREE, READ, Column, by_name
from nsview.host.columns.kinds import Kind

__all__ = ["DEAR", "FREE", "READ", "Column", "Kind", "by_name"]
