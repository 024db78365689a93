"""The one lock around PDFium, which is not safe between threads, not even for two documents."""

import threading

pdfium = threading.Lock()
