"""The controller: turns Services and AddressPools into assigned addresses.

One replica acts at a time. Changes seen by the mirrors mark Services for a visit; a visit decides with the pure
allocator, writes the ServiceAddress, then the Service's status. A visit depends on the present state only, so it
may be lost, repeated or late without harm.
"""
