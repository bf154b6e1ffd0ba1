module fleetlog/test/systemd

go 1.26.0
