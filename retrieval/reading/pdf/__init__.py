"""PDF: pages as they are printed, their letters, tables and annotations, by PDFium; read again by OCR where need be."""
