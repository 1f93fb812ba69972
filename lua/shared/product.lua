-- Reading and changing a product.

-- 'absent' when Redis does not know it, 'aged' when it was last checked against MySQL under another server run.
local function distrust(stock, run)
  if not stock then
    return 'absent'
  end
  if run ~= server_run() then
    return 'aged'
  end
  return nil
end

-- The name of a product's state: another one after every change, epoch-version unless it was installed with the name
-- that it had. A tag of another version was left behind by a script that knows nothing of tags.
local function tag_of(product)
  if product.tag and product.tagged == product.version then
    return product.tag
  end
  return (product.epoch or '') .. '-' .. (product.version or '')
end

-- Writes the product's new state and logs it.
local function change_product(key, log, products, id, product, changes, now_ms)
  for field, value in pairs(changes) do
    product[field] = value
  end
  product.version = whole((tonumber(product.version or '0') or 0) + 1)
  product.paused = product.paused or ''
  product.tag = changes.tag or (product.epoch .. '-' .. product.version)
  redis.call('HSET', key, 'stock', product.stock, 'round', product.round, 'paused', product.paused,
    'epoch', product.epoch, 'version', product.version, 'run', product.run,
    'tag', product.tag, 'tagged', product.version)
  redis.call('ZADD', products, now_ms, id)
  redis.call('XADD', log, '*', 'k', 'product', 'p', id, 'stock', product.stock, 'r', product.round,
    'z', product.paused, 'e', product.epoch, 'v', product.version)
end
