"""Recordings: samples and events over time in a file of JSON lines, written by one that may be killed at any time."""

from nsview.host.recording.form import VERSION, Header, RecordingError
from nsview.host.recording.reader import End, Found, NamespacesSeen, Reader, Sample
from nsview.host.recording.writer import Writer

__all__ = ["VERSION", "End", "Found", "Header", "NamespacesSeen", "Reader", "RecordingError", "Sample", "Writer"]
