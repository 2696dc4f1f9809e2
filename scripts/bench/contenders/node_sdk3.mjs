// The usual Node handler's way: AWS SDK v3, one promise for each recipient, all at once.
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from "@aws-sdk/client-apigatewaymanagementapi";

const [url, recipients] = [process.argv[2], Number(process.argv[3])];
const ids = Array.from({ length: recipients }, (_, number) => `BFHPhf${String(number).padStart(7, "0")}AM=`);
const client = new ApiGatewayManagementApiClient({ endpoint: url, region: process.env.AWS_REGION });

const cpu = process.cpuUsage();
const started = process.hrtime.bigint();
const answers = await Promise.all(
  ids.map((id) => client.send(new PostToConnectionCommand({ ConnectionId: id, Data: Buffer.from("hello world") }))),
);
const wall = Number(process.hrtime.bigint() - started) / 1e9;
const { user, system } = process.cpuUsage(cpu);

console.log(
  JSON.stringify({
    delivered: answers.length,
    cpu_s: (user + system) / 1e6,
    wall_s: wall,
    peak_rss_mb: process.resourceUsage().maxRSS / 1024,
  }),
);
process.exit(0);
