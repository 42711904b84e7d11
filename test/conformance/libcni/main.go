// The reference library as a program, for comparison with ours:
//
//	libcni VERB CONFDIR NETWORK CACHEDIR PATH   < {"containerID": …, "netns": …, "ifName": …, "args": …, "capabilityArgs": …}
//
// VERB is add, check, del, result, config or validate. It prints what the library hands back, or ends with 1 and its error.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/libcni"
)

type runtimeConf struct {
	ContainerID    string                 `json:"containerID"`
	NetNS          string                 `json:"netns"`
	IfName         string                 `json:"ifName"`
	Args           [][2]string            `json:"args"`
	CapabilityArgs map[string]interface{} `json:"capabilityArgs"`
}

func main() {
	answer, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if answer != nil {
		if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
			panic(err)
		}
	}
}

func run(words []string) (interface{}, error) {
	verb, confDir, network, cacheDir, path := words[0], words[1], words[2], words[3], words[4]
	var given runtimeConf
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return nil, err
	}
	rt := &libcni.RuntimeConf{
		ContainerID:    given.ContainerID,
		NetNS:          given.NetNS,
		IfName:         given.IfName,
		Args:           given.Args,
		CapabilityArgs: given.CapabilityArgs,
	}
	list, err := libcni.LoadConfList(confDir, network)
	if err != nil {
		return nil, err
	}
	cni := libcni.NewCNIConfigWithCacheDir(filepath.SplitList(path), cacheDir, nil)
	ctx := context.Background()
	switch verb {
	case "add":
		return cni.AddNetworkList(ctx, list, rt)
	case "check":
		return nil, cni.CheckNetworkList(ctx, list, rt)
	case "del":
		return nil, cni.DelNetworkList(ctx, list, rt)
	case "result":
		return cni.GetNetworkListCachedResult(list, rt)
	case "validate":
		return cni.ValidateNetworkList(ctx, list)
	case "config":
		config, kept, err := cni.GetNetworkListCachedConfig(list, rt)
		return map[string]interface{}{
			"config": string(config), "args": kept.Args, "capabilityArgs": kept.CapabilityArgs,
		}, err
	}
	return nil, fmt.Errorf("no verb %q", verb)
}
