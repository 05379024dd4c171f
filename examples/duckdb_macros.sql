-- Readable addresses in DuckDB, without an extension:
--   .read examples/duckdb_macros.sql
--   select ip_text(src_addr), sum(bytes) from 'flows/**/*.parquet' where in_net4(dst_addr, '192.0.2.0/24') group by 1 order by 2 desc;


create macro _o(h,i) as ('0x'||substr(h,i,2))::UTINYINT;
create macro _g(b) as regexp_replace(lower(regexp_replace(hex(b),'(....)','\1:','g')),':$','');
create macro _z(s) as regexp_replace(s,'(^|:)0{1,3}','\1','g');
create macro ip_text(b) as case when hex(b)[1:24]='00000000000000000000FFFF' then concat_ws('.',_o(hex(b),25),_o(hex(b),27),_o(hex(b),29),_o(hex(b),31)) else regexp_replace(_z(_g(b)),'(^|:)0(:0)+(:|$)','::') end;
create macro ip4(s) as unhex('00000000000000000000ffff'||printf('%02x%02x%02x%02x',split_part(s,'.',1)::INT,split_part(s,'.',2)::INT,split_part(s,'.',3)::INT,split_part(s,'.',4)::INT));
create macro in_net4(a,s) as a between unhex('00000000000000000000ffff'||printf('%08x',(('0x'||hex(ip4(split_part(s,'/',1)))[25:32])::UBIGINT) & ((4294967295::UBIGINT << (32-split_part(s,'/',2)::INT)) & 4294967295))) and unhex('00000000000000000000ffff'||printf('%08x',(('0x'||hex(ip4(split_part(s,'/',1)))[25:32])::UBIGINT) | (4294967295::UBIGINT >> split_part(s,'/',2)::INT)));
