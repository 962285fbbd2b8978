"""Networks: blocks, the standalone GLiT, and the supernet whose weights all share."""
