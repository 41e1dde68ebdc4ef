//go:build !unix

package main

func holders() (stop, wait func()) { return nil, nil }
