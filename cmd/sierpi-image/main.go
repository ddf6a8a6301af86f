// Command sierpi-image builds the packages and the flashable image, boots it
// under QEMU and inspects it.
package main

func main() {}
