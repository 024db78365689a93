"""From a file to passages: the formats, their decoding, headings, OCR and chunks."""
