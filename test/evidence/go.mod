module fleetlog/test/evidence

go 1.26.0
