"""The page that `lorgnette open` shows in a browser. Nobody imports it but the command: NiceGUI is an extra."""
