"""The local clouds: three simulated cloud APIs around real control planes, gateways and model servers."""
