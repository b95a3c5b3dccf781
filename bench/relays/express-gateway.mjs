import expressGateway from 'express-gateway'

await expressGateway().load(process.env.EG_CONFIG_DIR).run()
