module slimdeploy/benchmarks/ordinary

go 1.26
