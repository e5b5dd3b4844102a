"""One image under one attack, step by step, and which pixels a prediction hangs on."""
