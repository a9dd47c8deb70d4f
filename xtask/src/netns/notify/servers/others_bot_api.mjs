// The Bot API of the package telegram-test-api: one person writes to the bot, and each message of the bot's is a line
// of JSON. The first line is the port.
import { createServer } from 'node:http';
import TelegramServer from 'telegram-test-api';

const token = process.argv[2];
const probe = createServer().listen(0, '127.0.0.1', async () => {
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  const server = new TelegramServer({ port, host: '127.0.0.1', storage: 'RAM', storeTimeout: 3600 });
  server.on('AddedBotMessage', () => {
    const { message, botToken } = server.storage.botMessages.at(-1);
    console.log(JSON.stringify({ message, token: botToken === token }));
  });
  await server.start();
  const client = server.getClient(token, { chatId: 5, userId: 5, firstName: '老王' });
  await client.sendMessage(client.makeMessage('/start'));
  console.log(port);
});
