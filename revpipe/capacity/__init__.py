"""How much a volume of signals needs: processes, connections, disk and vendor calls, from what was measured."""
