//! Datagrams to send.

/// A NetFlow v5 message of one Flow Record, whose source address and octets are `number`.
pub(crate) fn netflow5(number: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(72);
    message.extend(5_u16.to_be_bytes());
    message.extend(1_u16.to_be_bytes()); // count
    message.extend(60_000_u32.to_be_bytes()); // sysUptime, ms
    message.extend(1_700_000_000_u32.to_be_bytes());
    message.extend([0; 4]);
    message.extend(number.to_be_bytes()); // flow_sequence
    message.extend([0; 4]); // engine, sampling
    let mut record = [0; 48];
    record[..4].copy_from_slice(&number.to_be_bytes());
    record[16..20].copy_from_slice(&1_u32.to_be_bytes()); // packets
    record[20..24].copy_from_slice(&number.to_be_bytes()); // octets
    record[24..28].copy_from_slice(&50_000_u32.to_be_bytes()); // first
    record[28..32].copy_from_slice(&55_000_u32.to_be_bytes()); // last
    message.extend(record);
    message
}
