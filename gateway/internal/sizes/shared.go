package sizes

// Shared is the size of a small buffer that lives as long as the gateway, in bytes. The runtime holds objects of like size
// together, in one of 68 size classes; each class that something lives in takes a span of 8 KiB, most of it empty, and some
// 11 KiB for lists of spans. Two objects of this size live in any Go program for each of its threads (runtime/proc.go,
// mProfStackInit), so that one more takes no class of its own.
const Shared = 1152
