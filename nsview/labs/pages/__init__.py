"""Labs as pages: Markdown made from the document of a run (nsview/labs/document.py), and texts that quote it. Pure."""
