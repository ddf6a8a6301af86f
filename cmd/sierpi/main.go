// Command sierpi is the appliance program: the daemon and the commands that set
// up the machine around it.
package main

func main() {}
