// The decoders of goflow2, timed: goflow2-bench CAPTURE SECONDS decode|produce.
//
// Reads a capture of one exporter that `flowfast generate --write` wrote, decodes each datagram as goflow2's pipe does (utils/pipe.go) until
// that took so many seconds of CPU time, and prints the figures as `flowfast bench decode --json` calls them. "decode" ends with goflow2's
// packets, whose values are octets yet; "produce" goes on to its flow messages, which it would hand to a format. The pass before is not
// timed: templates are known after it, and its flows and octets are told, so that they can be compared.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"log"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
	"github.com/netsampler/goflow2/v2/decoders/netflowlegacy"
	"github.com/netsampler/goflow2/v2/decoders/sflow"
	"github.com/netsampler/goflow2/v2/producer"
	protoproducer "github.com/netsampler/goflow2/v2/producer/proto"
)

const (
	pcapHeaderOctets   = 24
	packetHeaderOctets = 16
	ipv4UDPOctets      = 28
)

// Element 1 of IPFIX, IN_BYTES of NetFlow v9.
const octetDeltaCount = 1

type decoder struct {
	templates netflow.NetFlowTemplateSystem
	producer  producer.ProducerInterface
	args      producer.ProduceArgs
}

func main() {
	if len(os.Args) != 4 || os.Args[3] != "decode" && os.Args[3] != "produce" {
		log.Fatal("usage: goflow2-bench CAPTURE SECONDS decode|produce")
	}
	runtime.GOMAXPROCS(1)
	capture, err := os.ReadFile(os.Args[1])
	check(err)
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	check(err)
	payloads := datagrams(capture)
	d := newDecoder(os.Args[3] == "produce")

	flows, octets := 0, uint64(0)
	for _, payload := range payloads {
		packet := d.decode(payload)
		flows += records(packet)
		octets += octetsIn(packet)
		d.produce(packet)
	}

	received := 0
	started := cpuTime()
	for (cpuTime() - started).Seconds() < seconds {
		for _, payload := range payloads {
			packet := d.decode(payload)
			received += records(packet)
			d.produce(packet)
		}
	}
	cpu := (cpuTime() - started).Seconds()
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"records":                received,
		"cpu_seconds":            cpu,
		"records_per_cpu_second": float64(received) / cpu,
		"ns_per_record":          cpu * 1e9 / float64(received),
		"pass":                   map[string]any{"flows": flows, "octets": octets},
	}))
}

func newDecoder(produces bool) *decoder {
	exporter := netip.MustParseAddrPort("127.0.0.1:49152")
	d := &decoder{
		templates: netflow.CreateTemplateSystem(),
		args:      producer.ProduceArgs{Src: exporter, SamplerAddress: exporter.Addr(), TimeReceived: time.Now()},
	}
	if produces {
		var unmapped *protoproducer.ProducerConfig // as goflow2 without -mapping
		config, err := unmapped.Compile()
		check(err)
		d.producer, err = protoproducer.CreateProtoProducer(config, protoproducer.CreateSamplingSystem)
		check(err)
	}
	return d
}

// One datagram into one of goflow2's packets.
func (d *decoder) decode(payload []byte) any {
	switch binary.BigEndian.Uint16(payload) {
	case 0: // the version of sFlow has 32 bits
		packet := &sflow.Packet{}
		check(sflow.DecodeMessageVersion(bytes.NewBuffer(payload), packet))
		return packet
	case 5:
		packet := &netflowlegacy.PacketNetFlowV5{}
		check(netflowlegacy.DecodeMessageVersion(bytes.NewBuffer(payload), packet))
		return packet
	}
	v9, ipfix := &netflow.NFv9Packet{}, &netflow.IPFIXPacket{}
	check(netflow.DecodeMessageVersion(bytes.NewBuffer(payload), d.templates, v9, ipfix))
	if v9.Version == 9 {
		return v9
	}
	return ipfix
}

// A packet into flow messages, which go back to their pool as they do once they are sent.
func (d *decoder) produce(packet any) {
	if d.producer == nil {
		return
	}
	messages, err := d.producer.Produce(packet, &d.args)
	check(err)
	d.producer.Commit(messages)
}

// The UDP payloads of a pcap: little-endian, IPv4 without options, no link header.
func datagrams(capture []byte) (payloads [][]byte) {
	for at := pcapHeaderOctets; at < len(capture); {
		length := int(binary.LittleEndian.Uint32(capture[at+8:]))
		at += packetHeaderOctets
		payloads = append(payloads, capture[at+ipv4UDPOctets:at+length])
		at += length
	}
	return payloads
}

// Flow Records in a packet, samples of sFlow.
func records(packet any) int {
	switch packet := packet.(type) {
	case *netflowlegacy.PacketNetFlowV5:
		return len(packet.Records)
	case *sflow.Packet:
		return len(packet.Samples)
	}
	count := 0
	for _, set := range flowSets(packet) {
		if data, is := set.(netflow.DataFlowSet); is {
			count += len(data.Records)
		}
	}
	return count
}

// The sum of octetDeltaCount, of sFlow the lengths of the sampled frames.
func octetsIn(packet any) (sum uint64) {
	switch packet := packet.(type) {
	case *netflowlegacy.PacketNetFlowV5:
		for _, record := range packet.Records {
			sum += uint64(record.DOctets)
		}
		return sum
	case *sflow.Packet:
		for _, sample := range packet.Samples {
			flow, _ := sample.(sflow.FlowSample)
			for _, record := range flow.Records {
				header, _ := record.Data.(sflow.SampledHeader)
				sum += uint64(header.FrameLength)
			}
		}
		return sum
	}
	for _, set := range flowSets(packet) {
		data, _ := set.(netflow.DataFlowSet)
		for _, record := range data.Records {
			found, value := protoproducer.NetFlowLookFor(record.Values, octetDeltaCount)
			if octets, are := value.([]byte); found && are {
				var number uint64
				check(protoproducer.DecodeUNumber(octets, &number))
				sum += number
			}
		}
	}
	return sum
}

func flowSets(packet any) []any {
	switch packet := packet.(type) {
	case *netflow.NFv9Packet:
		return packet.FlowSets
	case *netflow.IPFIXPacket:
		return packet.FlowSets
	}
	return nil
}

// CPU time of this process so far, its garbage collector included.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
