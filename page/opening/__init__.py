"""Starting the page, joining one that runs, who may reach it, and the browser that shows it."""
