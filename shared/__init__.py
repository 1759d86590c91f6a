"""What agents and orchestrations agree on; one package per outside thing: a Protocol, its Azure adapter, its twin."""
