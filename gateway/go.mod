module slimdeploy/gateway

go 1.26
